"""Who may do what: clients, services and admins, their keys, and how each client likes it."""
