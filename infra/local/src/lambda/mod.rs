//! The Lambda Invoke API over one of three hosts.
