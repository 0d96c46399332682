"""What officers' apps rely on: field types, resources, messages. A leaf: pydantic only, imports nothing of ours."""
