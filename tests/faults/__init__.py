"""What happens to runs that are killed, short of disk, shut out or doubled: measured, and told."""
