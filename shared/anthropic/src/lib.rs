//! Messages and Message Batches over HTTP
