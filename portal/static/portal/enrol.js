// Enrolment: lets an authenticator make a passkey, fills in the code of the link, looks again while it is being applied.
// The code stands behind the # of the address, which a browser sends to no server; it stays there from step to step.
"use strict";

(function () {
  const waiting = document.getElementById("being-applied");
  if (waiting) setTimeout(() => window.location.reload(), Number(waiting.dataset.reload));

  for (const form of document.querySelectorAll("main form")) form.action = window.location.pathname + window.location.hash;
  for (const link of document.querySelectorAll("main a")) {
    if (link.pathname === window.location.pathname) link.hash = window.location.hash;
  }
  const code = document.getElementById("code-1");
  if (code && !code.value) {
    try {
      code.value = decodeURIComponent(window.location.hash.slice(1));
    } catch {
      code.value = "";
    }
  }

  const form = document.getElementById("registration");
  const button = document.getElementById("make-passkey");
  const message = document.getElementById("make-message");
  if (!form || !button || !message) return;

  const { toBytes, toText } = window.base64url;
  const say = (text) => {
    message.textContent = text;
    message.hidden = false;
  };

  if (!window.PublicKeyCredential || !navigator.credentials) {
    say(
      window.isSecureContext
        ? "This browser knows no passkeys, so none can be made in it. Use a current browser."
        : "Passkeys work over https (or on localhost) only. Open the portal by its proper address."
    );
    return;
  }
  button.hidden = false;

  const explain = (error) => {
    switch (error.name) {
      case "NotAllowedError":
        return "No passkey was made: the dialogue was cancelled or took too long. Try again.";
      case "InvalidStateError":
        return "No passkey was made: this authenticator holds one of yours already. Use another one.";
      case "SecurityError":
        return "No passkey was made: this address is not the one that passkeys are bound to. Open the portal by its proper address.";
      case "NotSupportedError":
      case "ConstraintError":
        return "No passkey was made: this authenticator cannot verify that it is you (PIN or biometric). Use one that does.";
      default:
        return "No passkey was made: the authenticator said " + error.name + ". Try again.";
    }
  };

  button.addEventListener("click", async () => {
    button.disabled = true;
    say("Waiting for your authenticator …");
    try {
      const options = JSON.parse(form.dataset.options);
      options.challenge = toBytes(options.challenge);
      options.user.id = toBytes(options.user.id);
      options.excludeCredentials = options.excludeCredentials.map((key) => ({ ...key, id: toBytes(key.id) }));
      const made = await navigator.credentials.create({ publicKey: options });
      form.elements.client_data.value = toText(made.response.clientDataJSON);
      form.elements.attestation.value = toText(made.response.attestationObject);
      say("Made. Sending …");
      form.submit();
    } catch (error) {
      say(explain(error));
      button.disabled = false;
    }
  });
})();
