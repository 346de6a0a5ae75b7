import AppProto
import NIOHTTP1
import PlainHTTP
import Testing

@testable import rtun_server

@Suite struct PlainResponseTests {
    private func respond(_ method: HTTPMethod, _ uri: String, _ headers: HTTPHeaders = [:]) -> PlainResponse {
        PlainResponse(
            to: HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers),
            isAuthorized: { $0 == "good" },
            sessions: {
                SessionsDocument(agents: [
                    AgentInfo(
                        name: "a\"\n", instanceID: InstanceID(rawValue: String(repeating: "0", count: 32)) ?? .random(),
                        expireAtMilliseconds: 5, address: "[::1]:1", software: "s", labels: ["k": "v"])
                ])
            })
    }

    @Test(arguments: [
        (HTTPMethod.GET, "/healthz", HTTPResponseStatus.ok), (.HEAD, "/healthz", .ok),
        (.GET, "/prefix/healthz?x=1", .ok),
        (.POST, "/healthz", .methodNotAllowed), (.DELETE, "/pub/sessions", .methodNotAllowed),
        (.GET, "/pub/sessions", .unauthorized), (.GET, "/pub/ws", .upgradeRequired),
        (.GET, "/a/b/sub/ws", .upgradeRequired),
        (.GET, "/", .notFound), (.GET, "", .notFound), (.GET, "*", .notFound), (.POST, "/healthzz", .notFound),
    ])
    func `each path has its answer`(method: HTTPMethod, uri: String, status: HTTPResponseStatus) {
        #expect(self.respond(method, uri).status == status)
    }

    @Test(arguments: [
        ("Bearer good", true), ("bearer good", true), ("Bearer bad", false), ("Basic good", false), ("good", false),
    ])
    func `the list of sessions wants a bearer token`(authorization: String, isWelcome: Bool) {
        let response = self.respond(.GET, "/pub/sessions", ["Authorization": authorization])
        #expect(response.status == (isWelcome ? .ok : .unauthorized))
    }

    @Test func `the list of sessions is JSON`() {
        let response = self.respond(.GET, "/pub/sessions", ["Authorization": "Bearer good"])
        #expect(response.contentType == "application/json")
        let instance = String(repeating: "0", count: 32)
        #expect(
            response.body == """
                {"sessions":[{"name":"a\\"\\n","instance_id":"\(instance)","expire_at_ms":5,"address":"[::1]:1",\
                "software":"s","labels":{"k":"v"},"mapping":"unknown","fingerprint":null,"key_kept":false,\
                "key_listed":null}]}

                """)
    }
}
