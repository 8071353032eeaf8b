//! The poll function
