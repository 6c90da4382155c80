"""What a trace takes for granted, and what a traced function may not do."""
