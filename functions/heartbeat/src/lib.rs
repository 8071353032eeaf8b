//! The heartbeat function
