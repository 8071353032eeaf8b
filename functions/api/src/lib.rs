//! The api function
