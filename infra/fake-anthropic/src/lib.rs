//! A strict, scriptable stand-in for the Messages and Message Batches APIs
