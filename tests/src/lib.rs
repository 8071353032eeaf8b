//! Helpers shared by the end-to-end tests.

pub mod chats;
pub mod local;
pub mod ministack;
pub mod openai;
pub mod pages;
pub mod process;
pub mod recorded;
