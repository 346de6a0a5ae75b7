import NIOCore
import Testing

@testable import HTTPProxy

@Suite struct `HTTP proxy machine` {
    private static let get = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let post = "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    private static let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"

    // MARK: Tunnels

    @Test func `CONNECT becomes a tunnel, with what came early`() {
        var conversation = Conversation()
        #expect(conversation.client("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nearly") == [.tunnel("a:443")])
        #expect(!conversation.machine.wantsInput)
        #expect(conversation.client("er") == [])
        #expect(conversation.connected() == [.toClient("HTTP/1.1 200 Connection established\r\n\r\n"), .splice])
        #expect(String(buffer: conversation.machine.takeInput()) == "earlyer")
    }

    @Test func `a tunnel that cannot be had is answered, and another one may be asked for`() {
        var conversation = Conversation()
        _ = conversation.client("CONNECT a:443 HTTP/1.1\r\n\r\n")
        conversation.machine.targetFailed(HTTPFailure(.gatewayTimeout, "a:443 does not answer"))
        let steps = conversation.take()
        #expect(steps.answer == "HTTP/1.1 504 Gateway Timeout")
        #expect(steps.clientText.hasSuffix("\r\n\r\na:443 does not answer\n"))
        #expect(conversation.client("CONNECT b:443 HTTP/1.1\r\n\r\n") == [.tunnel("b:443")])
    }

    // MARK: Connections that stay

    @Test func `a target's connection serves further requests, pipelined ones in their order`() {
        var conversation = Conversation()
        #expect(conversation.client(Self.get + Self.get) == [.connect("a:80")])
        #expect(conversation.connected() == [.toTarget("GET / HTTP/1.1\r\nHost: a\r\n\r\n")])
        #expect(conversation.target("HTTP/1.1 200 OK\r\nContent-Le") == [])
        #expect(
            conversation.target("ngth: 2\r\n\r\nab") == [
                .toClient(Self.response), .toTarget("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ])
        #expect(conversation.target(Self.response) == [.toClient(Self.response)])
        #expect(conversation.machine.wait == .nextRequest)
        #expect(conversation.client("\r\n" + Self.get).targetText == "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    @Test func `another target gets another connection`() {
        var conversation = Conversation.exchanging()
        _ = conversation.target(Self.response)
        #expect(
            conversation.client("GET http://a:81/ HTTP/1.1\r\nHost: a:81\r\n\r\n") == [.closeTarget, .connect("a:81")])
        var tunnel = Conversation.exchanging()
        _ = tunnel.target(Self.response)
        #expect(tunnel.client("CONNECT a:443 HTTP/1.1\r\n\r\n") == [.closeTarget, .tunnel("a:443")])
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
        // What follows would be taken for the next answer.
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ])
    func `a target's connection is not kept`(response: String) {
        var conversation = Conversation.exchanging()
        let steps = conversation.target(response)
        #expect(steps.last == .closeTarget)
        #expect(steps.clientText.hasSuffix("\r\n\r\nab"))
        #expect(conversation.client(Self.get) == [.connect("a:80")])
    }

    @Test func `a target that says something unasked, or leaves, loses its connection`() {
        for event in 0..<4 {
            var conversation = Conversation.exchanging()
            _ = conversation.target(Self.response)
            let steps =
                switch event {
                case 0: conversation.target("HTTP/1.1 200 OK\r\n\r\n")
                case 1: conversation.targetEnds()
                case 2: conversation.targetBreaks()
                default: conversation.targetStops()
                }
            #expect(steps == [.closeTarget])
            #expect(conversation.client(Self.get) == [.connect("a:80")])
        }
    }

    @Test func `a request that meets a connection's end is sent once more if that does no harm`() {
        var conversation = Conversation.exchanging()
        _ = conversation.target(Self.response)
        _ = conversation.client(Self.get)
        #expect(conversation.targetEnds() == [.resetTarget, .connect("a:80")])
        #expect(conversation.connected().targetText == "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let again = conversation.targetBreaks()
        #expect(again.answer == "HTTP/1.1 502 Bad Gateway")
        #expect(again.clientText.hasSuffix("a:80 closed the connection without an answer\n"))

        var post = Conversation.exchanging()
        _ = post.target(Self.response)
        _ = post.client("POST http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(post.targetBreaks().answer == "HTTP/1.1 502 Bad Gateway")

        var begun = Conversation.exchanging()
        _ = begun.target(Self.response)
        _ = begun.client(Self.get)
        _ = begun.target("HTTP")
        #expect(begun.targetBreaks().answer == "HTTP/1.1 502 Bad Gateway")
    }

    @Test func `a client that has closed its sending side gets all answers`() {
        var conversation = Conversation()
        _ = conversation.client(Self.get + Self.get)
        #expect(conversation.clientEnds() == [])
        #expect(conversation.connected().targetText != "")
        #expect(conversation.target(Self.response).clientText == Self.response)
        #expect(conversation.target(Self.response) == [.toClient(Self.response), .closeTarget, .closeClient])
    }

    @Test func `a client that leaves between requests, or within one, is let go`() {
        var fresh = Conversation()
        #expect(fresh.clientEnds() == [.closeClient])
        var begun = Conversation()
        _ = begun.client("GET http")
        #expect(begun.clientEnds() == [.closeClient])
        var idle = Conversation.exchanging()
        _ = idle.target(Self.response)
        #expect(idle.clientEnds() == [.closeTarget, .closeClient])
        var cutOff = Conversation.exchanging(Self.post)
        _ = cutOff.client("ab")
        let steps = cutOff.clientEnds()
        #expect(steps.first == .resetTarget)
        #expect(steps.answer == "HTTP/1.1 400 Bad Request")
        #expect(steps.last == .closeClient)
    }

    // MARK: Content

    @Test func `content goes on as it comes, and not before there is a connection`() {
        var conversation = Conversation()
        #expect(conversation.client(Self.post + "ab") == [.connect("a:80")])
        #expect(!conversation.machine.wantsInput)
        #expect(conversation.connected().targetText.hasSuffix("\r\n\r\nab"))
        #expect(conversation.machine.wantsInput)
        #expect(conversation.client("cdGET") == [.toTarget("cd")])
        #expect(!conversation.machine.wantsInput)
    }

    @Test func `content that is malformed ends the exchange`() {
        var conversation = Conversation.exchanging(
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let steps = conversation.client("1\r\na\r\nx\r\n")
        #expect(steps.contains(.resetTarget))
        #expect(steps.answer == "HTTP/1.1 400 Bad Request")
        #expect(steps.last == .closeClient)
        #expect(conversation.client(Self.get) == [])
    }

    @Test func `100 Continue goes through, and content then`() {
        var conversation = Conversation.exchanging(
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        #expect(conversation.target("HTTP/1.1 100 Continue\r\n\r\n") == [.toClient("HTTP/1.1 100 Continue\r\n\r\n")])
        #expect(conversation.client("ab") == [.toTarget("ab")])
        #expect(conversation.target(Self.response) == [.toClient(Self.response)])
        #expect(conversation.machine.wait == .nextRequest)
    }

    @Test func `a target may answer before it has everything, and the connection ends then`() {
        var conversation = Conversation.exchanging(Self.post)
        _ = conversation.client("ab")
        #expect(
            conversation.target("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nab") == [
                .toClient("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"), .resetTarget,
                .closeClient,
            ])
    }

    @Test func `content goes on while the answer comes already`() {
        var conversation = Conversation.exchanging(Self.post)
        #expect(
            conversation.target("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na").clientText.hasSuffix(
                "Connection: close\r\n\r\na"))
        #expect(conversation.client("abcd") == [.toTarget("abcd")])
        #expect(conversation.target("bcd") == [.toClient("bcd"), .closeTarget, .closeClient])
    }

    @Test func `content that the target refuses is thrown away until it answers`() {
        var conversation = Conversation.exchanging(Self.post)
        #expect(conversation.targetStops() == [])
        #expect(conversation.client("abcd") == [])
        #expect(conversation.target(Self.response) == [.toClient(Self.response), .closeTarget])
        #expect(conversation.client(Self.get) == [.connect("a:80")])
    }

    @Test func `a response that ends with its connection ends with a last chunk, or with the client's connection`() {
        var conversation = Conversation.exchanging()
        #expect(
            conversation.target("HTTP/1.1 200 OK\r\n\r\nab").clientText
                == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        #expect(conversation.target("c") == [.toClient("1\r\nc\r\n")])
        #expect(conversation.targetEnds() == [.toClient("0\r\n\r\n"), .closeTarget])
        #expect(conversation.machine.wait == .nextRequest)

        var old = Conversation.exchanging("GET http://a/ HTTP/1.0\r\n\r\n")
        #expect(
            old.target("HTTP/1.1 200 OK\r\n\r\nab").clientText == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab")
        #expect(old.targetEnds() == [.closeTarget, .closeClient])
    }

    @Test func `a response that breaks off is not taken for the whole`() {
        let heads = [
            "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n",
        ]
        for head in heads {
            var conversation = Conversation.exchanging()
            _ = conversation.target(head + "ab")
            #expect(conversation.targetBreaks() == [.resetTarget, .resetClient])
        }
        for head in heads.dropFirst() {
            var conversation = Conversation.exchanging()
            _ = conversation.target(head + "ab")
            #expect(conversation.targetEnds() == [.resetTarget, .resetClient])
        }
        var chunks = Conversation.exchanging()
        #expect(chunks.target(heads[2] + "123456789x").suffix(2) == [.resetTarget, .resetClient])
    }

    // MARK: Other protocols

    @Test func `a switch of protocols becomes a tunnel, with what came early on both sides`() {
        var conversation = Conversation.exchanging(
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        _ = conversation.client("from the client")
        #expect(
            conversation.target(
                """
                HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r
                from the server
                """)
                == [
                    .toClient(
                        """
                        HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nUpgrade: websocket\r
                        Connection: Upgrade\r\n\r

                        """), .splice,
                ])
        #expect(String(buffer: conversation.machine.takeInput()) == "from the client")
        #expect(String(buffer: conversation.machine.takeOutput()) == "from the server")
    }

    // MARK: Who may come in

    @Test func `a login is asked for, and works on the same connection`() {
        var conversation = Conversation(users: ["alice": "a:b"])
        let asked = conversation.client(Self.get)
        #expect(asked.answer == "HTTP/1.1 407 Proxy Authentication Required")
        #expect(asked.clientText.contains("\r\nProxy-Authenticate: Basic realm=\"proxy\", charset=\"UTF-8\"\r\n"))
        #expect(!asked.contains(.closeClient))
        #expect(conversation.machine.wait == .request)
        let login = "GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: bAsIc YWxpY2U6YTpi\r\n\r\n"
        #expect(conversation.client(login) == [.connect("a:80")])
        #expect(conversation.connected().targetText == "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = conversation.target(Self.response)
        // Each request has to say it.
        #expect(conversation.client(Self.get).answer == "HTTP/1.1 407 Proxy Authentication Required")
    }

    @Test(arguments: [
        ("Basic YWxpY2U6eA==", "alice"), ("Basic Ym9iOmE6Yg==", "bob"), ("Basic YWxpY2U=", ""), ("Basic", ""),
        ("Basic %%%%", ""), ("Basic YWxpY2U6YTpi=", ""), ("Basic A", ""), ("Digest YWxpY2U6YTpi", ""),
        ("Basic YWxpY2U6YTpi\r\nProxy-Authorization: Basic YWxpY2U6YTpi", ""),
    ])
    func `a wrong login ends the connection`(value: String, user: String) {
        var conversation = Conversation(users: ["alice": "a:b"])
        let steps = conversation.client("CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: \(value)\r\n\r\n")
        #expect(steps.first == .turnedAway(.wrongLogin(user: user)))
        #expect(steps.answer == "HTTP/1.1 407 Proxy Authentication Required")
        #expect(steps.last == .closeClient)
    }

    @Test(arguments: ["GET", "HEAD", "POST"])
    func `a request that is not for a proxy gets a page that explains, whoever asks`(method: String) {
        var conversation = Conversation(users: ["alice": "a"])
        let steps = conversation.client("\(method) / HTTP/1.1\r\nHost: 127.0.0.1:2080\r\n\r\n")
        #expect(steps.first == .turnedAway(.notForProxy))
        #expect(steps.answer == "HTTP/1.1 400 Bad Request")
        #expect(steps.clientText.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"))
        #expect(steps.clientText.contains("curl --proxy http://HOST:PORT") == (method != "HEAD"))
        #expect(!steps.clientText.contains("rtun"))
        #expect(steps.last == .closeClient)
    }

    @Test func `an answer is one line, whatever is in it`() {
        var conversation = Conversation()
        _ = conversation.client(Self.get)
        conversation.machine.targetFailed(HTTPFailure(.forbidden, "no\r\nway"))
        #expect(conversation.take().clientText.hasSuffix("\r\n\r\nno  way\n"))
    }

    @Test func `a request that may go no further is answered here`() {
        var conversation = Conversation()
        let options = "OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"
        #expect(conversation.client(options).answer == "HTTP/1.1 200 OK")
        let trace = "TRACE http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"
        #expect(conversation.client(trace).answer == "HTTP/1.1 405 Method Not Allowed")
        let wrong = "TRACE http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n"
        #expect(conversation.client(wrong).answer == "HTTP/1.1 400 Bad Request")
    }

    @Test(arguments: [
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400 Bad Request"), ("GET http://a/ HTTP/2.0\r\n\r\n", "505 HTTP"),
        ("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501 Not Implemented"),
        (String(repeating: "x", count: 70000), "431 Request Header Fields Too Large"),
    ])
    func `a request that is refused ends the connection`(request: String, answer: String) {
        var conversation = Conversation()
        let steps = conversation.client(request + Self.get)
        #expect(steps.answer?.hasPrefix("HTTP/1.1 " + answer) == true)
        #expect(steps.last == .closeClient)
    }
}
