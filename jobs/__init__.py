"""The worker side: processes that claim deliveries, run handlers and record outcomes. Never imports Flask."""
