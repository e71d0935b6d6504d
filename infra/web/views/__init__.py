"""What the pages show, read from the record: plain values, no markup."""
