//! The EventBridge Scheduler API, and timers that fire.
