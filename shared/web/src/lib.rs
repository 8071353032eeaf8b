//! HTTPS to addresses users supply: guarded against internal targets, bounded and signed
