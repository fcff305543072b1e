"""The console: pages for operators on the admin port, rendered here, with nothing from elsewhere."""
