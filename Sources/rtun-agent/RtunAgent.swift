import CommandSupport

@main
enum RtunAgent {
    static func main() async {
        await ProgramMain.run(AgentCommand.self)
    }
}
