//! The deliver function
