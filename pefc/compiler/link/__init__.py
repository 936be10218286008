"""One patch, two linkers: into the living modules, and into the traced graph."""
