"""Commands of ops: the web pages."""

from tasks.command import command, opened


@command(
    help={
        "port": "Port to listen on.",
        "host": "Address to listen on; 127.0.0.1 is this machine alone.",
    }
)
def serve(ctx, port="8080", host="0.0.0.0"):  # noqa: S104 - the address of the manual
    """Serve the web pages, until stopped."""
    from databoard.errors import InvalidValue
    from databoard.names import as_count

    number = as_count("The port", port)
    if number > 65535:
        raise InvalidValue(f"The port is {port}.", "Use a number up to 65535.")
    with opened() as (settings, engine):
        from werkzeug.serving import make_server

        from databoard.web import create_app

        app = create_app(settings, engine)
        server = make_server(host, number, app, threaded=True)
        print(f"Serving http://{host}:{number}/ - stop with Ctrl-C", flush=True)
        server.serve_forever()
