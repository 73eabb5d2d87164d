"""``/metrics`` in the text format of Prometheus, with the ``metrics`` extra.

``install`` adds it to an application: ``exposition`` has the routes, ``listener`` their own
listening socket, ``collector`` the metrics. Imported only where a setting asks for it.
"""
