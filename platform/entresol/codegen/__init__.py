"""Proto files to descriptor sets, and models to clients and documents."""
