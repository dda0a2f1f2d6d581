// Asks the person's passkey for the signature and puts its answer into the form. Decides nothing: the server verifies every byte.
"use strict";

(function () {
  const form = document.getElementById("ceremony");
  const button = document.getElementById("sign-with-passkey");
  const message = document.getElementById("sign-message");
  if (!form || !button || !message) return;

  const { toBytes, toText } = window.base64url;
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

  const PATIENCE = 240000;

  const explain = (error, waited) => {
    switch (error.name) {
      case "NotAllowedError":
        // Browsers tell neither a cancelled dialogue nor a missing key apart, so as not to tell sites about keys; the time does.
        if (waited >= PATIENCE) return "Nothing was signed: nobody answered the dialogue in time. Begin again from the request's page.";
        if (waited < 300) return "Nothing was signed: the browser asked for no key. None that is registered for you is at hand, or another dialogue is open. Try again with a passkey that is registered for you.";
        return "Nothing was signed: the dialogue was cancelled, or no passkey registered for you was at hand. Nothing has changed; try again with one that is registered for you, or leave by “Not now”.";
      case "ConstraintError":
      case "NotSupportedError":
        return "Nothing was signed: that key cannot verify that it is you (PIN or biometric). Set that up on the key, or use another one that is registered for you.";
      case "SecurityError":
        return "Nothing was signed: this address is not the one that passkeys are bound to. Open the portal by its proper address.";
      case "InvalidStateError":
        return "Nothing was signed: that key cannot answer. Try another one that is registered for you.";
      case "AbortError":
        return "Nothing was signed: the browser stopped the ceremony. Try again.";
      default:
        return "Nothing was signed: the authenticator said " + error.name + ". Try again.";
    }
  };

  button.addEventListener("click", async () => {
    button.disabled = true;
    say("Waiting for your passkey …");
    const began = performance.now();
    try {
      const credential = await navigator.credentials.get({
        publicKey: {
          challenge: toBytes(form.dataset.challenge),
          rpId: form.dataset.relyingParty,
          userVerification: "required",
          timeout: PATIENCE,
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
      say(explain(error, performance.now() - began));
      button.disabled = false;
    }
  });
})();
