"""sync-agent: keeps a telecom network's digital twins true in Azure Digital Twins."""

__version__ = "0.1.0"
