//! Who may do what: users, roles, password hashes.
