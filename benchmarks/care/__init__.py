"""The care layer under load: a server with all of it, coordinators with several tabs, tasks changed over HTTP."""
