"""Values as text for people and as JSON for programs, shared by every interface."""
