"""What tests share: private servers, factories, a whole hub as a process, a headless browser."""
