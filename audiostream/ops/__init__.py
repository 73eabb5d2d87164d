"""What a host needs: logs, listening sockets, proxies, systemd."""
