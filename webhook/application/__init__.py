"""The application: admission, certificates and their rotation, in terms of small Protocols that adapters satisfy."""
