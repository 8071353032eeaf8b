//! API JSON types and exit codes shared by the API function and the CLI
