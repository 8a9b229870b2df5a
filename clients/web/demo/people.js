// Who the demo lets one be. A server without the demo's log-in has nobody: then the choice is not offered.

export async function people() {
  const answer = await fetch("/api/demo/people");
  return answer.ok ? (await answer.json()).items : [];
}

export async function tokenOf(userId) {
  const answer = await fetch("/api/demo/login", { method: "POST", body: JSON.stringify({ user_id: userId }) });
  if (!answer.ok) throw new Error("the demo's log-in refused it");
  return (await answer.json()).token;
}
