"""What the care channels mean: tasks, subjects, activity, notifications, their schemas, routes, stores and services.

Built on :mod:`bayeux_server`, which knows nothing of any of this. Modules without I/O take the time as an argument;
:mod:`channels.stores` and :mod:`channels.services` are where effects happen.
"""
