import Basics
import Crypto

/// The status page: one document with its style and its script in it, and a policy that permits nothing else.
///
/// What it shows it fetches from `/status.json`, again and again, and puts into the page as text.
struct StatusPage: Sendable {
    let text: String
    /// Permits this script and this style, by their hashes (CSP Level 3, section 2.3.1), and requests to where it comes from.
    let contentSecurityPolicy: String

    init(program: String, layout: StatusLayout) {
        let script = "\"use strict\";\nconst layout = \(layout.json.text);\n" + Self.script
        self.text = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="robots" content="noindex">
            <title>\(program)</title>
            <link rel="icon" href="\(Self.icon)">
            <style>\(Self.style)</style>
            </head>
            <body>
            \(Self.body(program: program))
            <script>\(script)</script>
            </body>
            </html>

            """
        self.contentSecurityPolicy = [
            "default-src 'none'", "script-src '\(Self.hash(of: script))'", "style-src '\(Self.hash(of: Self.style))'",
            "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        ].joined(separator: "; ")
    }

    private static func hash(of text: String) -> String {
        "sha256-" + Base64.text(of: SHA256.hash(Array(text.utf8)))
    }

    /// A ring with a dot, for the tab.
    private static let icon =
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
        + "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%230e7c86' stroke-width='2'/%3E"
        + "%3Ccircle cx='8' cy='8' r='2.5' fill='%230e7c86'/%3E%3C/svg%3E"

    private static func body(program: String) -> String {
        """
        <header>
        <h1>\(program)<span id="name"></span></h1>
        <p id="state" role="status">loading…</p>
        <p id="about"></p>
        </header>
        <main id="main">
        <noscript><p>This page needs JavaScript; <a href="status.txt">here is the same as text</a>.</p></noscript>
        <section id="plot" class="card" aria-labelledby="plot-title">
        <h2 id="plot-title"></h2>
        <p class="now"><span id="down"></span><span id="up"></span></p>
        <svg id="chart" viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-labelledby="plot-title chart-words"></svg>
        <p class="axis"><span id="from"></span><span id="peak"></span><span>now</span></p>
        <p id="chart-words" class="unseen"></p>
        </section>
        <section class="card" aria-label="Overview"><dl id="facts"></dl></section>
        <div id="tables"></div>
        <section id="counters-card" class="card" aria-labelledby="counters-title" hidden>
        <h2 id="counters-title">Counters</h2><dl id="counters"></dl>
        </section>
        </main>
        <footer><a href="metrics">metrics</a> <a href="status.json">status.json</a> <a href="status.txt">status.txt</a></footer>
        """
    }
}
