"""RabbitMQ: jobs that are ready, and changes as events, for who cannot all ask one PostgreSQL."""
