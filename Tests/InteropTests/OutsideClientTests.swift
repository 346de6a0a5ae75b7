import Foundation
import TestSupport
import Testing

/// What people point at the proxy's port: programs that nobody here wrote, used as their manuals say.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct OutsideClientTests {
    @Test(arguments: ProxyProtocol.allCases)
    func `curl downloads and uploads, over HTTP and HTTPS, named on the command line or in the environment`(
        proxy: ProxyProtocol
    ) async throws {
        let proxied = try await ProxyInUse()
        let web = try await WebServer()
        let secure = try await WebServer(terminatingTLSWith: proxied.cluster.certificates, forPort: web.port)
        let (file, url) = (web.root + "/file", proxy.url(proxied.port))
        let name = proxy == .socks5h ? "ALL_PROXY" : "http_proxy"
        try await ShellCommand.run(
            """
            set -e
            cd '\(web.folder.path)'
            head -c 3000000 /dev/urandom > '\(file)'
            curl() { command curl -sS --fail --max-time 20 --cacert '\(proxied.cluster.certificates.authority)' "$@"; }
            curl -x \(url) http://localhost:\(web.port)/file | cmp - '\(file)'
            \(name)=\(url) curl http://127.0.0.1:\(web.port)/file | cmp - '\(file)'
            https_proxy=\(url) curl https://localhost:\(secure.port)/file | cmp - '\(file)'
            # Two requests of one connection, the first with a body that waits for "100 Continue", the second in chunks.
            curl -x \(url) -T '\(file)' http://localhost:\(web.port)/upload/length \
                --next -sS --fail -x \(url) -T - http://localhost:\(web.port)/upload/chunks < '\(file)'
            cmp '\(file)' '\(web.root)/upload/length'
            cmp '\(file)' '\(web.root)/upload/chunks'
            # What the target answers is passed on as it is.
            [ "$(command curl -s -x \(url) -o /dev/null -w '%{http_code}' http://localhost:\(web.port)/nothing)" = 404 ]
            [ "$(command curl -s -x \(url) -I -w '%{http_code}' -o /dev/null http://localhost:\(web.port)/file)" = 200 ]
            """)
        #expect(proxied.connections(to: web.port) >= 4)
        #expect(proxied.connections(to: secure.port) == 1)
        await proxied.stop()
    }

    @Test(arguments: ["--socks4", "--socks4a", "--socks5", "--socks5-hostname"])
    func `curl speaks every version of SOCKS`(option: String) async throws {
        let proxied = try await ProxyInUse()
        let web = try await WebServer()
        let file = try web.folder.write("root/file", "here it is")
        let said = try await ShellCommand.run(
            "curl -sS --max-time 20 -4 \(option) 127.0.0.1:\(proxied.port) http://localhost:\(web.port)/file")
        #expect(said == "here it is", "\(file)")
        #expect(proxied.connections(to: web.port) == 1)
        await proxied.stop()
    }

    @Test(arguments: ProxyProtocol.allCases)
    func `curl logs in, and is turned away with a wrong password`(proxy: ProxyProtocol) async throws {
        let proxied = try await ProxyInUse(options: ["--auth", "me:pa:ss"])
        let web = try await WebServer()
        try web.folder.write("root/file", "here it is")
        func curl(_ login: String) async throws -> (ending: RunningProgram.Ending, output: String, errors: String) {
            try await ShellCommand.outcome(
                of: """
                    curl -sS --fail --max-time 20 -x \(proxy.url(proxied.port)) \(login) http://localhost:\(web.port)/file
                    """)
        }
        #expect(try await curl("-U me:pa:ss").output == "here it is")
        for login in ["-U me:wrong", "-U you:pa:ss", ""] {
            let refused = try await curl(login)
            #expect(refused.ending != .exit(0) && refused.output.isEmpty, "\(login)")
        }
        #expect(proxied.connections(to: web.port) == 1)
        await proxied.stop()
    }

    @Test(arguments: ProxyProtocol.allCases)
    func `requests reads, writes and keeps its connections`(proxy: ProxyProtocol) async throws {
        let proxied = try await ProxyInUse()
        let web = try await WebServer()
        let secure = try await WebServer(terminatingTLSWith: proxied.cluster.certificates, forPort: web.port)
        let said = try await ShellCommand.run(
            """
            '\(Interpreter.python)' - \(proxy.url(proxied.port)) \(web.port) \(secure.port) \
                '\(proxied.cluster.certificates.authority)' <<'EOP'
            import requests, sys
            proxy, plain, secure, authority = sys.argv[1:]
            session = requests.Session()
            session.trust_env = False
            session.proxies = {"http": proxy, "https": proxy}
            session.verify = authority
            body = bytes(range(256)) * 4000
            pieces = lambda: (body[i : i + 70000] for i in range(0, len(body), 70000))
            for url in f"http://localhost:{plain}", f"https://localhost:{secure}":
                for data in body, pieces():
                    assert session.put(url + "/upload/file", data=data, timeout=20).status_code in (201, 204)
                    answer = session.get(url + "/upload/file", timeout=20)
                    assert answer.content == body, (answer.status_code, len(answer.content))
                for _ in range(20):
                    assert session.head(url + "/upload/file", timeout=20).headers["Content-Length"] == str(len(body))
                assert session.get(url + "/nothing", timeout=20).status_code == 404
                print("ok", url)
            EOP
            """)
        #expect(said.split(separator: "\n").count == 2)
        // nginx ends a connection when it likes; that all requests of a kind do not take one each is what counts.
        for port in [web.port, secure.port] { #expect((1...4).contains(proxied.connections(to: port))) }
        await proxied.stop()
    }

    @Test(.enabled(if: OutsideClient.git.isThere, OutsideClient.git.absence), arguments: ProxyProtocol.allCases)
    func `git clones and pushes`(proxy: ProxyProtocol) async throws {
        let proxied = try await ProxyInUse()
        let folder = try TestFolder()
        // More than git sends with a length (http.postBuffer, 1 MiB): the push goes in chunks.
        try await ShellCommand.run(
            """
            set -e
            cd '\(folder.path)'
            git init -q --bare -b main served.git
            git clone -q served.git first 2>/dev/null
            cd first
            head -c 3000000 /dev/urandom > file
            git add file
            git -c user.name=test -c user.email=test@example.com commit -q -m first
            git push -q origin HEAD:main
            """)
        let server = try await ScriptServer("git_server.py", [folder.path])
        try await ShellCommand.run(
            """
            set -e
            cd '\(folder.path)'
            export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL=/dev/null
            git="git -c http.proxy=\(proxy.url(proxied.port)) -c user.name=test -c user.email=test@example.com"
            $git clone -q http://localhost:\(server.ports[0])/served.git second
            cmp first/file second/file
            cd second
            head -c 3000000 /dev/urandom > another
            git add another
            $git commit -q -m second
            $git push -q origin HEAD:main
            [ "$(git rev-parse HEAD)" = "$(git -C ../served.git rev-parse main)" ]
            """)
        #expect(proxied.connections(to: server.ports[0]) >= 2)
        await proxied.stop()
        await server.program.kill9()
    }

    @Test(
        .enabled(if: OutsideClient.chromium.isThere, OutsideClient.chromium.absence), arguments: ProxyProtocol.allCases)
    func `Chromium shows a page and talks over WebSockets, plain and with TLS`(proxy: ProxyProtocol) async throws {
        let proxied = try await ProxyInUse()
        let certificates = proxied.cluster.certificates
        let page = try await ScriptServer("web_page.py", [certificates.certificate, certificates.key])
        let folder = try TestFolder()
        // Chromium's own name for SOCKS whose proxy resolves names lacks the h.
        let server = proxy == .socks5h ? "socks5://127.0.0.1:\(proxied.port)" : proxy.url(proxied.port)
        let browser = try RunningProgram(
            OutsideClient.chromium.rawValue,
            [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--user-data-dir=\(folder.path)", "--ignore-certificate-errors",
                // It reaches loopback by itself unless told otherwise.
                "--proxy-server=\(server)", "--proxy-bypass-list=<-loopback>",
                // Without an answer to a page's question, it would end at once.
                "--remote-debugging-port=0", "http://localhost:\(page.ports[0])/",
            ], environment: ["HOME": folder.path])
        let report = try await page.program.line(within: .seconds(40), "the page's report") { $0.hasPrefix("report ") }
        #expect(report == "report echoed 5,5")
        for port in page.ports { #expect(proxied.connections(to: port) >= 1) }
        await browser.stop()
        await proxied.stop()
        await page.program.kill9()
    }

    @Test(.enabled(if: OutsideClient.apt.isThere, OutsideClient.apt.absence), arguments: ProxyProtocol.allCases)
    func `apt-get updates from a repository and downloads a package`(proxy: ProxyProtocol) async throws {
        let proxied = try await ProxyInUse()
        let web = try await WebServer()
        let url = proxy.url(proxied.port)
        try await ShellCommand.run(
            """
            set -e
            cd '\(web.folder.path)'
            mkdir -p package/DEBIAN package/usr/share state/lists/partial cache/archives/partial target
            head -c 500000 /dev/urandom > package/usr/share/rtun-try
            printf '%s\\n' 'Package: rtun-try' 'Version: 1' 'Architecture: all' 'Description: nothing' \
                'Maintainer: nobody <nobody@example.com>' > package/DEBIAN/control
            dpkg-deb -Zgzip --root-owner-group -b package root/rtun-try.deb >/dev/null
            size=$(stat -c %s root/rtun-try.deb)
            sum=$(sha256sum < root/rtun-try.deb | cut -d ' ' -f 1)
            { cat package/DEBIAN/control
              printf '%s\\n' 'Filename: ./rtun-try.deb' "Size: $size" "SHA256: $sum"; } > root/Packages
            echo 'deb [trusted=yes] http://localhost:\(web.port)/ ./' > sources.list
            touch state/status
            cat > apt.conf <<EOC
            Dir::Etc { SourceList "$PWD/sources.list"; SourceParts "-"; Parts "-"; Main "-";
                       Preferences "-"; PreferencesParts "-"; Trusted "-"; TrustedParts "-"; };
            Dir::State "$PWD/state";
            Dir::State::Lists "$PWD/state/lists";
            Dir::State::Status "$PWD/state/status";
            Dir::Cache "$PWD/cache";
            APT::Sandbox::User "";
            Acquire::http::Proxy "\(url)";
            Acquire::Retries "0";
            Acquire::http::Timeout "20";
            EOC
            export APT_CONFIG=$PWD/apt.conf
            unset http_proxy https_proxy no_proxy
            cd target
            apt-get -q update
            apt-get -q download rtun-try
            cmp rtun-try_1_all.deb ../root/rtun-try.deb
            """)
        #expect(proxied.connections(to: web.port) >= 1)
        await proxied.stop()
    }

    @Test(.enabled(if: OutsideClient.sshd.isThere, OutsideClient.sshd.absence), arguments: ProxyProtocol.allCases)
    func `ssh goes through ncat and the proxy`(proxy: ProxyProtocol) async throws {
        let proxied = try await ProxyInUse()
        let folder = try TestFolder()
        let ssh = try await SSHServer(in: folder)
        try await ShellCommand.run("head -c 2000000 /dev/urandom > '\(folder.file("data"))'")
        let kind = proxy == .socks5h ? "socks5" : "http"
        try await ssh.expectCopy(
            of: folder.file("data"),
            """
            -o ProxyCommand='ncat --proxy 127.0.0.1:\(proxied.port) --proxy-type \(kind) %h %p' -p \(ssh.port) 127.0.0.1
            """)
        #expect(proxied.connections(to: ssh.port) == 1)
        await proxied.stop()
    }

    @Test(.enabled(if: OutsideClient.sshd.isThere, OutsideClient.sshd.absence), arguments: SignalScheme.allCases)
    func `ssh and scp go through a tcp rule of the relay`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress").program
        let folder = try TestFolder()
        let ssh = try await SSHServer(in: folder)
        let relay = try await cluster.relay(["tcp://127.0.0.1:0?to=127.0.0.1:\(ssh.port)"])
        try await ShellCommand.run("head -c 2000000 /dev/urandom > '\(folder.file("data"))'")
        try await ssh.expectCopy(of: folder.file("data"), "-p \(relay.port) 127.0.0.1")
        try await ShellCommand.run(
            """
            cd '\(folder.path)'
            scp -q \(ssh.clientOptions.replacing("-l ", with: "-o User=")) -P \(relay.port) data 127.0.0.1:'\(folder.file("copy"))'
            cmp data copy
            # A command that ends with another status, and one that is told of the end of its input.
            ssh \(ssh.clientOptions) -p \(relay.port) 127.0.0.1 'exit 7'; [ $? = 7 ]
            [ "$(printf abc | ssh \(ssh.clientOptions) -p \(relay.port) 127.0.0.1 'wc -c')" = 3 ]
            """, within: .seconds(40))
        await stopAll([cluster.server, agent, relay.program])
    }
}
