"""Events: every committed change of the resources that ask for it, told to whoever listens at RabbitMQ."""
