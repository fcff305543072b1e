"""How capacity grows with machines, and what one that dies takes along."""
