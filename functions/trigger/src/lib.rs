//! The trigger function
