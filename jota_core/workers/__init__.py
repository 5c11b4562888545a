"""Several processes of one host: a manager that starts and keeps them, and what each of them runs."""
