/* All values of one agent. */

/* Returns the path of an agent in the mount, quoted for a shell. Users paste it into one, and the agent
 * chose its name. */
function path(name) {
	const here = decodeURIComponent(location.pathname).replace(/\/fleet\/[^/]*$/, "");
	const whole = `${here}/agents/${name}`;
	return /^[\w@%+=:,./-]+$/.test(whole) ? whole : `'${whole.replaceAll("'", "'\\''")}'`;
}

function gpuText(gpu) {
	return gpu.known ? `${gpu.name}, ${bytesOf(gpu.free, gpu.total)} free` :
		gpu.total === null || gpu.free === null ?
			`${gpu.name}, ${bytes(gpu.total)}, free: ${bytes(gpu.free)}` :
			`${gpu.name}, reported as ${bytes(gpu.free)} of ${bytes(gpu.total)} free, which is impossible`;
}

function detailRows(agent) {
	return [["status", agent.status], ["since", when(agent.since)],
		["last_heartbeat", when(agent.heartbeat)], ["connected_at", when(agent.connected)],
		["version", agent.version], ["platform_arch", agent.platform_arch],
		["tool", `${agent.tool} ${agent.tool_version}`.trim()],
		["labels", agent.labels.join(", ")], ["running_count", agent.running_count],
		["gpu_capacity", agent.gpu_capacity], ["gpu_free", agent.gpu_free],
		["current_task_id", agent.current_task_id],
		["running_tasks", agent.running_tasks.join("\n")],
		["tasks_completed", agent.tasks_completed],
		["sync_phase", agent.sync_phase], ["sync_percent", agent.sync_percent],
		["sync_detail", agent.sync_detail],
		...agent.gpus.map((gpu, i) => [`gpus/${i}`, gpuText(gpu)])];
}

function renderDetails() {
	const agent = byName.get(state.agent);
	if (!state.agent) {
		$("agent").close();
		return;
	}
	$("agent-name").textContent = agent ? agent.title : `${state.agent} (left)`;
	$("path").value = path(state.agent);
	if (agent)
		$("agent").querySelector("dl").replaceChildren(...detailRows(agent).flatMap(
			([name, value]) => value === "" || value === null ? [] :
				[element("dt", "", name), element("dd", "", `${value}`)]));
	if (!$("agent").open)
		$("agent").showModal();
}
