//! Timers on EventBridge Scheduler and calls between functions on Lambda
