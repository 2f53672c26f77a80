"""How frames travel. A transport knows links, bytes and processes, and no MCP method."""
