//! The real programs, on their own: hosted like Lambda hosts them, killed, and started again.

mod hosts;
mod kill;
mod killed_day;
mod logs;
