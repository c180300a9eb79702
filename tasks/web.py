"""Commands of ops: the web pages."""

from tasks.command import command, opened


@command(
    auto_shortflags=False,  # -h is --help
    help={
        "port": "Port to listen on.",
        "host": "Address to listen on; 127.0.0.1 is this machine alone.",
    },
)
def serve(ctx, port="8080", host="0.0.0.0"):  # noqa: S104 - the address of the manual
    """Serve the web pages, until stopped."""
    import gc

    gc.disable()  # all that is imported stays
    from databoard.names import as_count

    number = as_count("The port", port, most=65535)
    with opened() as (settings, engine):
        from werkzeug.serving import make_server

        from databoard.web import create_app

        app = create_app(settings, engine)
        listener = listen(host, number)
        server = make_server(host, number, app, threaded=True, fd=listener.fileno())
        gc.freeze()
        gc.enable()
        print(f"Serving http://{host}:{number}/ - stop with Ctrl-C", flush=True)
        server.serve_forever()


def listen(host, port):
    """A socket that listens there. Raises DataboardError."""
    import socket

    from databoard.errors import DataboardError

    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise DataboardError(
            f"Nothing can listen at {host}, port {port}: {reason}.",
            "Choose another --host or --port.",
        ) from None
