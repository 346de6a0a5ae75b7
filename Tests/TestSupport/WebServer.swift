import Foundation

/// nginx on a loopback port: files under `root`, uploads with PUT to `/upload/`, or a TLS-terminating proxy.
package final class WebServer: Sendable {
    package let folder: TestFolder
    /// The folder that it serves.
    package let root: String
    package let port: Int
    private let program: RunningProgram

    /// A plain HTTP server on 127.0.0.1 and ::1.
    package convenience init() async throws {
        try await self.init { root, port in
            """
            server {
                listen 127.0.0.1:\(port);
                listen [::1]:\(port);
                root \(root);
                client_max_body_size 0;
                location /upload/ { dav_methods PUT; create_full_put_path on; }
            }
            """
        }
    }

    /// A proxy that terminates TLS with `certificates` and passes WebSockets on to port `upstream`.
    ///
    /// - Parameter encrypting: whether it speaks TLS to the server behind it too, as a man in the middle would.
    package convenience init(
        terminatingTLSWith certificates: TestCertificates, forPort upstream: Int, encrypting: Bool = false
    ) async throws {
        try await self.init { _, port in
            """
            server {
                listen 127.0.0.1:\(port) ssl;
                ssl_certificate \(certificates.certificate);
                ssl_certificate_key \(certificates.key);
                location / {
                    proxy_pass \(encrypting ? "https" : "http")://127.0.0.1:\(upstream);
                    proxy_ssl_verify off;
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_set_header Host $host;
                    proxy_read_timeout 60s;
                }
            }
            """
        }
    }

    private init(server: (_ root: String, _ port: Int) -> String) async throws {
        let folder = try TestFolder()
        let root = folder.file("root")
        try FileManager.default.createDirectory(atPath: root + "/upload", withIntermediateDirectories: true)
        let port = try FreePort.next()
        let configuration = try folder.write(
            "nginx.conf",
            """
            daemon off;
            user root;
            worker_processes 1;
            pid \(folder.file("nginx.pid"));
            error_log stderr warn;
            events { worker_connections 1024; }
            http {
                access_log off;
                sendfile on;
                client_body_temp_path \(folder.file("body"));
                proxy_temp_path \(folder.file("proxy"));
                fastcgi_temp_path \(folder.file("fastcgi"));
                uwsgi_temp_path \(folder.file("uwsgi"));
                scgi_temp_path \(folder.file("scgi"));
                default_type application/octet-stream;
                \(server(root, port))
            }
            """)
        let program = try RunningProgram("/usr/sbin/nginx", ["-e", "stderr", "-c", configuration, "-p", folder.path])
        self.folder = folder
        self.root = root
        self.port = port
        self.program = program
        try await eventually(within: .seconds(10), "nginx listening") {
            guard program.isRunning else {
                throw ShellCommand.Failed(command: "nginx", ending: .exit(1), text: program.errors.text)
            }
            return (try? BlockingSocket(connectingTo: "127.0.0.1", port: port)) != nil
        }
    }

    deinit { self.program.signal(15) }
}
