"""What the commands do, as functions: from a file to a flow, a table and a figure."""
