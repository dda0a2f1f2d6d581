// Asks the person's passkey for the signature and puts its answer into the form. Decides nothing: the server verifies every byte.
"use strict";

(function () {
  const form = document.getElementById("ceremony");
  const button = document.getElementById("sign-with-passkey");
  const message = document.getElementById("sign-message");
  if (!form || !button || !message) return;

  const toBytes = (text) => {
    const padded = text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "=");
    return Uint8Array.from(atob(padded), (char) => char.charCodeAt(0));
  };
  const toText = (buffer) => {
    let binary = "";
    for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
    return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const say = (text) => {
    message.textContent = text;
    message.hidden = false;
  };

  if (!window.PublicKeyCredential || !navigator.credentials) {
    say(
      window.isSecureContext
        ? "This browser knows no passkeys, so it cannot sign. Use a current browser."
        : "Passkeys work over https (or on localhost) only. Open the portal by its proper address."
    );
    return;
  }
  button.hidden = false;

  const explain = (error) => {
    switch (error.name) {
      case "NotAllowedError":
        return "Nothing was signed: the dialogue was cancelled, took too long, or no passkey registered for you was at hand. Try again with the passkey that is registered for you.";
      case "SecurityError":
        return "Nothing was signed: this address is not the one that passkeys are bound to. Open the portal by its proper address.";
      case "InvalidStateError":
        return "Nothing was signed: that key cannot answer. Try another one that is registered for you.";
      case "AbortError":
        return "Nothing was signed: the ceremony was stopped. Try again.";
      default:
        return "Nothing was signed: the authenticator said " + error.name + ". Try again.";
    }
  };

  button.addEventListener("click", async () => {
    button.disabled = true;
    say("Waiting for your passkey …");
    try {
      const credential = await navigator.credentials.get({
        publicKey: {
          challenge: toBytes(form.dataset.challenge),
          rpId: form.dataset.relyingParty,
          userVerification: "required",
          timeout: 240000,
          allowCredentials: form.dataset.credentials
            .split(" ")
            .filter(Boolean)
            .map((id) => ({ type: "public-key", id: toBytes(id) })),
        },
      });
      form.elements.credential_id.value = toText(credential.rawId);
      form.elements.client_data.value = toText(credential.response.clientDataJSON);
      form.elements.authenticator_data.value = toText(credential.response.authenticatorData);
      form.elements.signature.value = toText(credential.response.signature);
      say("Signed. Sending …");
      form.submit();
    } catch (error) {
      say(explain(error));
      button.disabled = false;
    }
  });
})();
