"""REST: chat in one request, conversations, models, health and pages."""
