import NIOCore
import Testing

@testable import HTTPProxy

@Suite struct `HTTP messages that are passed on` {
    /// What the server gets of a request.
    private static func forwarded(_ head: String, announcement: HTTPAnnouncement? = nil) -> String {
        var conversation = Conversation(announcement: announcement)
        guard case .connect = conversation.client(head).first else { return "" }
        return conversation.connected().targetText
    }

    @Test(arguments: [
        (
            "GET http://a:8080/b?c HTTP/1.1\r\nhOST: a:8080\r\nAccept: */*\r\n\r\n",
            "GET /b?c HTTP/1.1\r\nHost: a:8080\r\nAccept: */*\r\n\r\n"
        ),
        ("GET http://A/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: A\r\n\r\n"),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        // For this hop only.
        (
            """
            GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private , ,x-other\r\nX-Private: 1\r\nX-OTHER: 2\r
            Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nX-Public: 3\r\nProxy-Authorization: Basic eA==\r\n\r

            """,
            "GET / HTTP/1.1\r\nHost: a\r\nX-Public: 3\r\n\r\n"
        ),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eA==\r\nVia: 1.1 x\r\nX-Forwarded-For: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eA==\r\nVia: 1.1 x\r\nX-Forwarded-For: y\r\n\r\n"
        ),
        // Nobody talks us out of a length or a host.
        (
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, Host\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        ),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip, Trailers\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n"
        ),
        // Another protocol.
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        ),
        (
            """
            GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r
            HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r

            """,
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET http://a/ HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        // What HTTP/1.0 does not know.
        ("GET http://a/ HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"
        ),
        (
            "TRACE http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n",
            "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 4\r\n\r\n"
        ),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n"
        ),
        // Bytes that are no text.
        (
            "GET http://a/\u{E4} HTTP/1.1\r\nHost: a\r\nX: \u{E4}\t\u{F6} \r\n\r\n",
            "GET /\u{E4} HTTP/1.1\r\nHost: a\r\nX: \u{E4}\t\u{F6}\r\n\r\n"
        ),
    ])
    func `leave out what is for one hop, of requests`(head: String, expected: String) {
        #expect(Self.forwarded(head) == expected)
    }

    @Test func `say who asks if that is wanted`() {
        let announcement = HTTPAnnouncement(client: "192.0.2.7")
        #expect(
            Self.forwarded("GET http://a/ HTTP/1.0\r\n\r\n", announcement: announcement)
                == "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 rtun\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        #expect(
            Self.forwarded(
                "GET http://a/ HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
                announcement: announcement)
                    == """
                    GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\nVia: 1.1 rtun\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.7\r\n\r

                    """)
        #expect(
            Self.forwarded("GET http://a/ HTTP/1.0\r\n\r\n", announcement: HTTPAnnouncement(client: nil))
                == "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 rtun\r\n\r\n")
        var conversation = Conversation.exchanging(announcement: announcement)
        #expect(
            conversation.target("HTTP/1.1 204 No Content\r\n\r\n").clientText
                == "HTTP/1.1 204 No Content\r\nVia: 1.1 rtun\r\n\r\n")
    }

    @Test func `carry content as it was framed, and chunks anew`() {
        #expect(
            Self.forwarded("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET")
                == "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        #expect(
            Self.forwarded(
                """
                POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\n\r
                3;x=y\r\nabc\r\n0\r\nX: y\r\nContent-Length: 7\r\nHost: b\r\nAuthorization: z\r\n\r\nGET
                """)
                    == """
                    POST / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r
                    3\r\nabc\r\n0\r\nX: y\r\n\r

                    """)
    }

    /// What the client gets of a response.
    private static func answered(_ response: String, to head: String) -> String {
        var conversation = Conversation.exchanging(head)
        return conversation.target(response).clientText
    }

    private static let get = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let oldGet = "GET http://a/ HTTP/1.0\r\n\r\n"

    @Test(arguments: [
        (
            get,
            """
            HTTP/1.1 200 \r\nConnection: X\r\nX: y\r\nKeep-Alive: 5\r\nProxy-Authenticate: Basic realm=a\r\nUpgrade: h2\r
            Content-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nab
            """,
            "HTTP/1.1 200 \r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nab"
        ),
        (get, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
        (
            get, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
        ),
        (
            get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;x\r\nab\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n"
        ),
        (
            oldGet, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;x\r\nab\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"
        ),
        (
            oldGet, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"
        ),
        (
            "GET http://a/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nab"
        ),
        (
            "GET http://a/ HTTP/1.0\r\nProxy-Connection: Keep-Alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            """
            HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nProxy-Connection: keep-alive\r\n\r
            ab
            """
        ),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"
        ),
        // Without content, whatever is said.
        (
            "HEAD http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
        ),
        (get, "HTTP/1.1 204 No\r\nContent-Length: 7\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"),
        (get, "HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n", "HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n"),
        (get, "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 304 No\r\n\r\n"),
        // Informational ones.
        (
            get, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n"
        ),
        (
            oldGet, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n"
        ),
        (
            get, "HTTP/1.1 426 Upgrade\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 426 Upgrade\r\nContent-Length: 0\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
        ),
        (get, "HTTP/1.1 999 \u{E4}\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 999 \u{E4}\r\nContent-Length: 0\r\n\r\n"),
    ])
    func `leave out what is for one hop, of responses`(head: String, response: String, expected: String) {
        #expect(Self.answered(response, to: head) == expected)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 200 OK\nX: a\n\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        "HTTP/1.1 200 O\u{1}K\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 65536))\r\n\r\n",
    ])
    func `are replaced when a response can be read in two ways`(response: String) {
        var conversation = Conversation.exchanging(Self.get)
        let steps = conversation.target(response)
        #expect(steps.first == .resetTarget)
        #expect(steps.answer == "HTTP/1.1 502 Bad Gateway")
        #expect(!steps.clientText.contains("200 OK"))
    }
}
